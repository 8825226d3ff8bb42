"""Teachers: what they are asked, how they are opened, and which of their replies are kept."""
