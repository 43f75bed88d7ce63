output "topic_arn" {
  description = "What services publish to."
  value       = aws_sns_topic.changes.arn
}

output "queue_url" {
  description = "--queue-url of the workers, queue.url of the chart."
  value       = aws_sqs_queue.changes.id
}

output "dead_letter_queue_url" {
  description = "--dlq-url of the workers, queue.dlqUrl of the chart."
  value       = aws_sqs_queue.dead.id
}

output "policy_arns" {
  description = "Policies of publisher, worker, operator (dead letters) and scaler."
  value       = { for name, policy in aws_iam_policy.this : name => policy.arn }
}

output "worker_role_arn" {
  description = "IRSA: annotate the chart's service account with it (eks.amazonaws.com/role-arn)."
  value       = one(aws_iam_role.worker[*].arn)
}

output "kms_key_arn" {
  description = "The key of topic and queues; null where SQS's own is used."
  value       = local.key_arn
}
