"""The developer environment of crm_key_account: `make help` lists what it does.

Only Python's standard library is used here, since this code makes the venv.
"""
