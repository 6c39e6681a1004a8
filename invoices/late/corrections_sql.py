"""What final invoices have to be corrected by, and what of it is carried."""

# By line of an invoice with a number, what its correction is and what other documents carry of it, where these are not
# the same; of these customers' invoices. Uses invoice_final_end and the index of invoices by customer, correction_once,
# invoiceline_corrects, and the indexes of credit notes by invoice and of their lines by note and by the invoice's line.
#
# A note that credits lines of the invoice, and sets off in it what was corrected before, carries no correction. A line
# of a note that is of an invoice's line and has a key takes back what that line carries for an invoice that is void.
PENDING = """
WITH said AS (
    SELECT i.id, c.key, c.amount_after - c.amount_before AS wanted, NULL::numeric AS carried, NULL::numeric AS quantity,
           false AS noted
    FROM invoices_invoice AS i JOIN invoices_correction AS c ON c.invoice_id = i.id
    WHERE i.customer_id = ANY (%(customers)s::int[]) AND i.status = 'final'
    UNION ALL
    SELECT i.id, l.corrects_key, NULL, l.amount, l.quantity, false
    FROM invoices_invoice AS i
    JOIN invoices_invoiceline AS l ON l.corrects_id = i.id
    JOIN invoices_invoice AS d ON d.id = l.invoice_id
    WHERE i.customer_id = ANY (%(customers)s::int[]) AND d.status = 'final'
    UNION ALL
    SELECT i.id, n.corrects_key, NULL, -n.amount, NULL, true
    FROM invoices_invoice AS i
    JOIN invoices_creditnote AS note ON note.invoice_id = i.id
    JOIN invoices_creditnoteline AS n ON n.credit_note_id = note.id
    WHERE i.customer_id = ANY (%(customers)s::int[]) AND i.status = 'final' AND n.corrects_key <> ''
      AND NOT EXISTS (
          SELECT FROM invoices_creditnoteline AS o
          WHERE o.credit_note_id = note.id AND o.invoice_line_id IS NOT NULL
      )
    UNION ALL
    SELECT i.id, l.corrects_key, NULL, -n.amount, NULL, true
    FROM invoices_invoice AS i
    JOIN invoices_invoiceline AS l ON l.corrects_id = i.id
    JOIN invoices_invoice AS d ON d.id = l.invoice_id
    JOIN invoices_creditnoteline AS n ON n.invoice_line_id = l.id
    WHERE i.customer_id = ANY (%(customers)s::int[]) AND i.status = 'void' AND d.status = 'final'
      AND n.corrects_key <> ''
)
SELECT id, key, coalesce(sum(wanted), 0), coalesce(sum(carried), 0), coalesce(sum(quantity), 0), bool_or(noted)
FROM said GROUP BY 1, 2 HAVING coalesce(sum(wanted), 0) <> coalesce(sum(carried), 0) ORDER BY 1, 2
"""
