"""The lab: attacks on a throw-away copy of this site, with each defence and without it."""
