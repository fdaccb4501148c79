"""Values shared by the models."""

# Marks context keys that only this addon's code may set. A client can put any key into
# the context of a call, but never this object.
INTERNAL = object()
