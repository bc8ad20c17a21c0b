complete -c nexus-alert -l over -d 'The problem of this unit is over, whatever systemd says' -r
complete -c nexus-alert -l by -d 'Ways that this run may use, separated by commas; what the others owe stays in the queue [default: all that are set]' -r -f -a "mail\t'By the machine\'s own mail program'
command\t'By a program of the person\'s'
webhook\t'By HTTP'"
complete -c nexus-alert -l mail -d 'Address to mail to, by /usr/sbin/sendmail, or by port 25 of this machine where that is setuid; empty = no mail' -r
complete -c nexus-alert -l webhook -d 'How the webhook is spoken to; its URL is in the credential alert_webhook; empty = no webhook' -r -f -a "json\t'The whole alert as one JSON object'
ntfy\t'ntfy.sh: the text, with title, priority and tag in headers'
healthchecks\t'healthchecks.io: URL/fail when something fails, URL when all is well again'"
complete -c nexus-alert -l command -d 'Program that gets the alert as JSON on standard input, with its arguments; empty = none' -r
complete -c nexus-alert -l wall -d 'A line on every terminal on which someone is logged in: yes or no' -r
complete -c nexus-alert -l lines -d 'Lines of the unit\'s journal in an alert, 0 to 200' -r
complete -c nexus-alert -l dir -d 'Directory of the problems and of what is still to be sent' -r -F
complete -c nexus-alert -l problems -d 'The list of nexus-health' -r -F
complete -c nexus-alert -l patience -d 'How long a webhook may take, in seconds' -r
complete -c nexus-alert -l sendmail -d 'The program that sends mail' -r -F
complete -c nexus-alert -l health -d 'Tell what is new in the list of nexus-health, and what is gone from it'
complete -c nexus-alert -l retry -d 'Send what could not be sent, and remind of what lasts'
complete -c nexus-alert -l test -d 'Send a test alert through every way that is set, and keep what has become of it for nexus-health'
complete -c nexus-alert -l queue -d 'Send nothing now: leave it in the queue, from which nexus-alert-retry sends'
complete -c nexus-alert -l json -d 'One JSON object on standard output'
complete -c nexus-alert -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus-alert -s V -l version -d 'Print version'
