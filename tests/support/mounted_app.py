"""The service mounted into another application, which does not run the service's lifespan."""

from fastapi import FastAPI

from app.application import create_app


app = FastAPI()
app.mount("/vitals", create_app())
