"""Moving versions between stores: what is missing, in few requests, verified on arrival."""
