//! Campaign rules, budget, dates; funnel and trace.
