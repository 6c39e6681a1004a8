"""People who sign in: accounts, teams, invitations, links by mail, sessions of browsers, wrong passwords."""
