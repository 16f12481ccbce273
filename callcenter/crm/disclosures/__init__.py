"""What somebody opened for a while, with a reason, that their role alone does not show."""
