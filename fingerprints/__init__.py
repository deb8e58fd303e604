"""What we know of makers, badges and lists, beside how a verdict is reached from it."""
