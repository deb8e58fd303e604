"""Words that agents share with the inventory: parcels, keys, bundles, subjects; imports nothing of ours."""
