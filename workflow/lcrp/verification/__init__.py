"""Do context scores predict what replacing the background does? The paper's verification.

`verify` compares scores with the sensitivity of concepts to replaced backgrounds; `score_heatmaps`
computes scores by conditional heatmaps, as the paper defines them.
"""
