"""The service mounted into another application, which does not enter its lifespan."""

from fastapi import FastAPI

from app.application import create_app


app = FastAPI()
app.mount("/vitals", create_app())
