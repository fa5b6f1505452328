"""Tables as text for papers and for programs."""
