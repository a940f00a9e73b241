"""`make run`: the Procfile of production on one machine, with an embedded queue and simulated processors."""
