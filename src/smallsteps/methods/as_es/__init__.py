"""AS-ES learning (Xi et al., Findings of ACL 2024)."""
