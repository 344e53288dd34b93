"""A ladder of small real models, their tasks and their exact scores. See MODEL_CARD.md."""
