"""What tests share: small networks and datasets, and folders in which the workflow runs."""
