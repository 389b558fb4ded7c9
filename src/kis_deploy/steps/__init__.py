"""The steps of a deployment, one module each: `step(run)` does it or raises DeployError."""
