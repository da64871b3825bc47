"""`model.sfx`: the placed Program, its NIR source and a manifest in one sealed file."""
