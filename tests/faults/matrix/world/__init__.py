"""The world of the cases: the machine and its servers, sets, directories of sets, databases, disks."""
