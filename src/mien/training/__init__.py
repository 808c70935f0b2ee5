"""From a recipe and a data set to a trained network and the record of its run. Needs the `train` extra."""
