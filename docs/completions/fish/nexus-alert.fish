complete -c nexus-alert -l over -d 'End the incident of this unit, whatever systemd reports' -r
complete -c nexus-alert -l by -d 'Channels that this run may use, separated by commas; messages for other channels stay queued [default: all that are configured]' -r -f -a "mail\t'This machine\'s mail program'
command\t'A program of your own'
webhook\t'An HTTP POST'"
complete -c nexus-alert -l mail -d 'Recipient of mail, sent through /usr/sbin/sendmail, or through port 25 of this machine if that is setuid; empty = no mail' -r
complete -c nexus-alert -l webhook -d 'Format of the webhook, whose URL is in the credential alert_webhook; empty = no webhook' -r -f -a "json\t'The whole alert as one JSON object'
ntfy\t'ntfy.sh: the text, with title, priority and tag in headers'
healthchecks\t'healthchecks.io: URL/fail when something fails, URL when everything is well again'"
complete -c nexus-alert -l command -d 'Program that gets the alert as JSON on standard input, with its arguments; empty = none' -r
complete -c nexus-alert -l wall -d 'Write a line to every terminal on which someone is logged in: yes or no' -r
complete -c nexus-alert -l lines -d 'Lines of the unit\'s journal in an alert, 0 to 200' -r
complete -c nexus-alert -l dir -d 'Directory of the incidents and their queued messages' -r -F
complete -c nexus-alert -l spare -d 'Directory of the incidents that cannot be written to the other' -r -F
complete -c nexus-alert -l problems -d 'The list of nexus-health' -r -F
complete -c nexus-alert -l patience -d 'Timeout of a webhook in seconds' -r
complete -c nexus-alert -l sendmail -d 'The program that sends mail' -r -F
complete -c nexus-alert -l health -d 'Alert about problems that are new in the list of nexus-health, and about those that are gone from it'
complete -c nexus-alert -l retry -d 'Send queued messages again, and send reminders that are due'
complete -c nexus-alert -l test -d 'Send a test alert through every configured channel, and record the outcome for nexus-health'
complete -c nexus-alert -l queue -d 'Send nothing now, only queue it for nexus-alert-retry'
complete -c nexus-alert -l json -d 'Print one JSON object to standard output'
complete -c nexus-alert -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-alert -s V -l version -d 'Print version'
