# Everything at once: a FIFO pair with a key of its own, roles for a cluster, alarms to a topic.

module "afterimage" {
  source = "../.."

  name                     = "audit-changes"
  fifo                     = true
  publisher_principal_arns = ["arn:aws:iam::123456789012:role/billing"]
  oidc_provider_arn        = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLE"
  service_account          = { namespace = "audit", name = "afterimage" }
  alarm_actions            = ["arn:aws:sns:eu-central-1:123456789012:on-call"]
  tags                     = { team = "platform" }
}

output "helm_values" {
  description = "What the chart wants to know."
  value = yamlencode({
    queue          = { url = module.afterimage.queue_url, dlqUrl = module.afterimage.dead_letter_queue_url }
    serviceAccount = { annotations = { "eks.amazonaws.com/role-arn" = module.afterimage.worker_role_arn } }
  })
}
