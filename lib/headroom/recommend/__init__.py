"""From series and forecasts to what an owner should do: action, money, risk, date, evidence."""
