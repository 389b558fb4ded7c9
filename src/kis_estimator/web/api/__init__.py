"""The endpoints, one file per thing of the contract."""
