"""What a finished run left in its folder, read strictly; a module for each analysis."""
