"""Tables, figures and the one report page."""
