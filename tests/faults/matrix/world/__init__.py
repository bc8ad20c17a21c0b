"""What the cases work on: the machine and its servers, sets, directories of sets, databases, disks."""
