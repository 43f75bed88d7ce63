# What only AWS can see. The workers' own metrics say the rest (helm/afterimage/files/alerts.yaml).

locals {
  alarms = {
    oldest-message = {
      description = "The oldest change has waited for ${var.oldest_message_alarm_seconds} s. When its age reaches the queue's retention it is lost. docs/runbooks/afterimage-backlog-growing.md"
      namespace   = "AWS/SQS"
      metric      = "ApproximateAgeOfOldestMessage"
      dimensions  = { QueueName = aws_sqs_queue.changes.name }
      statistic   = "Maximum"
      period      = 60
      evaluations = 5
      threshold   = var.oldest_message_alarm_seconds
    }
    # Visible, not sent: a redrive must end the alarm, and what SQS moves itself is not counted as sent.
    dead-letters = {
      description = "Changes lie in the dead-letter queue and are not in the trail. docs/runbooks/afterimage-dead-letters.md"
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = aws_sqs_queue.dead.name }
      statistic   = "Maximum"
      period      = 300
      evaluations = 1
      threshold   = 0
    }
    not-delivered = {
      description = "SNS could not deliver to the queue: look at the queue's policy and key. `afterimage doctor` says what is wrong."
      namespace   = "AWS/SNS"
      metric      = "NumberOfNotificationsFailed"
      dimensions  = { TopicName = aws_sns_topic.changes.name }
      statistic   = "Sum"
      period      = 300
      evaluations = 1
      threshold   = 0
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each            = local.alarms
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = each.value.period
  evaluation_periods  = each.value.evaluations
  threshold           = each.value.threshold
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = var.tags
}
