//! Lowers the priority of a job's work in the server, so that searches stay fast. The server works
//! in its own processes, which `Nice=` and `CPUWeight=` of the job's unit do not affect.

/// Sets the lowest priority for the session's process in the server, which is `$PPID` of a program
/// that it starts. PostgreSQL has no setting for this. It needs a superuser or a member of
/// pg_execute_server_program, and lasts until the session ends; the priority cannot be raised
/// again. (PostgreSQL manual, COPY, PROGRAM.) Not every image has renice(1); images of Debian have
/// at least perl.
pub(super) const STAND_BACK: &str = "COPY (SELECT 1 WHERE false) TO PROGRAM \
    '{ renice -n 19 -p $PPID || perl -e ''exit !setpriority 0, shift, 19'' $PPID; } >/dev/null 2>&1'";

/// The action, for error messages.
pub(super) const STANDING_BACK: &str = "lowering the session's priority in the server";
