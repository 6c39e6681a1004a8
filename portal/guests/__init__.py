"""Who sees a customer without being its member: by the vendor's link, or as staff."""
