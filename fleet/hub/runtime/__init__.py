"""The hub acts: handlers → keys → observe → decide (core) → apply → report; every await is here."""
