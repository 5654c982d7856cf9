"""Running a flat program, with a backward pass derived from it."""
