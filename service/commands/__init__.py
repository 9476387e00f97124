"""What each command does; service/__main__.py runs one."""
