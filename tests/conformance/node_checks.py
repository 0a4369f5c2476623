from checks import Suite
suite = Suite()
