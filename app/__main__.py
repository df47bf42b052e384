"""`python -m app` runs `vitals`."""

from app.cli import main


main()
