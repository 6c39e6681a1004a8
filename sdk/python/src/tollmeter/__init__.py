"""Usage of your API, sent to Tollmeter."""
