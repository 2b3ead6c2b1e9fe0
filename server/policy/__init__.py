"""Policy settings by area and date: their types, the resolver, and the editor of the desk."""
