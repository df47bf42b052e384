"""The application, for `uvicorn app.main:app` and `fastapi run`."""

from app.application import create_app


app = create_app()
