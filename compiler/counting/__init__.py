"""What a space comes to: how many architectures there are, and what their models cost."""
