//! Jobs must not be in the way of whoever searches meanwhile. The server does their work in processes of its own, where `Nice=`
//! and `CPUWeight=` of a job's unit do not reach.

/// Makes the session's own process, in the server, give way to all others: `$PPID` of a program that it starts is the process
/// itself. There is no setting for it. Needs a superuser or a member of pg_execute_server_program, and holds until the session
/// ends; nobody can make it more important again. (PostgreSQL manual, COPY, PROGRAM.) Not every image has renice(1); one of Debian
/// has at least perl.
pub(super) const STAND_BACK: &str = "COPY (SELECT 1 WHERE false) TO PROGRAM \
    '{ renice -n 19 -p $PPID || perl -e ''exit !setpriority 0, shift, 19'' $PPID; } >/dev/null 2>&1'";

/// What it was that did not work.
pub(super) const STANDING_BACK: &str = "giving way to others in the server";
