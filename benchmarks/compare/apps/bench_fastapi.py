"""FastAPI as its tutorial shows it: one JSON endpoint with a model."""

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Item(BaseModel):
    """What is answered."""

    name: str
    price: float
    tags: list[str]


@app.get("/")
async def read_item() -> Item:
    """Return an item, which FastAPI checks and makes JSON of."""
    return Item(name="lamp", price=9.5, tags=["new", "light"])
