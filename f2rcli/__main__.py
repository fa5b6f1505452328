"""`python -m f2rcli` and `accelerate launch -m f2rcli`."""

from f2rcli.main import main

main()
