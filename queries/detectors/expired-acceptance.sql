-- ---
-- title    = "An accepted finding is no longer accepted"
-- severity = "medium"
-- attack   = []
-- needs    = []
-- message  = "The acceptance of {asset} has expired: {detail}"
-- params.until = { type = "timestamp", required = true, doc = "the instant at which an acceptance must still hold" }
-- ---
-- ## What it does
-- Finds entries of the expectations file that accept findings until an instant which is past at the end of the window.
-- ## Why it matters
-- Someone took a risk for a time, and that time is over. What it hid is reported again, or it went away and the
-- entry is left over.
-- ## False positives
-- None: the file says until when it holds.
-- ## What to do next
-- See whether the reason still holds. Mend what it excused and take the entry out, or have its owner set a new date.
SELECT
    concat(
        'it held until ', max(until), ' (line ', last_value(line ORDER BY until, line), '): ',
        last_value(reason ORDER BY until, line)
    ) AS detail,
    concat(detector, ', ', coalesce(key, 'any key'), ', ', coalesce(principal, 'any principal')) AS asset
FROM acceptances
GROUP BY detector, key, principal
-- A later entry for the same may have taken over.
HAVING max(until) <= $until
