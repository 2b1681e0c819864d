"""Values, errors, seeds, recipes and registries: standard library and pydantic only."""
