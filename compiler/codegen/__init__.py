"""Writing the IR as Python."""
