# Topic, queue, dead-letter queue, subscription, policies, key and alarms of one trail.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}

locals {
  suffix     = var.fifo ? ".fifo" : ""
  makes_key  = var.kms_key_arn == null
  key_arn    = local.makes_key ? aws_kms_key.this[0].arn : (var.kms_key_arn == "" ? null : var.kms_key_arn)
  root_arn   = "arn:${data.aws_partition.this.partition}:iam::${data.aws_caller_identity.this.account_id}:root"
  publishers = length(var.publisher_principal_arns) > 0 ? var.publisher_principal_arns : [local.root_arn]
}

# SNS must be able to use the key: the one that AWS manages for SQS cannot be opened to it.
# https://docs.aws.amazon.com/sns/latest/dg/sns-enable-encryption-for-topic-sqs-queue-subscriptions.html
data "aws_iam_policy_document" "key" {
  count = local.makes_key ? 1 : 0
  statement {
    sid       = "Account"
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = [local.root_arn]
    }
  }
  statement {
    sid       = "SnsDelivers"
    actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
    resources = ["*"]
    principals {
      type        = "Service"
      identifiers = ["sns.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.this.account_id]
    }
  }
}

resource "aws_kms_key" "this" {
  count               = local.makes_key ? 1 : 0
  description         = "Changes on their way into the audit trail ${var.name}"
  enable_key_rotation = true
  policy              = data.aws_iam_policy_document.key[0].json
  tags                = var.tags
}

resource "aws_sns_topic" "changes" {
  name                        = "${var.name}${local.suffix}"
  fifo_topic                  = var.fifo
  content_based_deduplication = false
  kms_master_key_id           = local.key_arn
  tags                        = var.tags
}

data "aws_iam_policy_document" "topic" {
  statement {
    sid       = "Publish"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.changes.arn]
    principals {
      type        = "AWS"
      identifiers = local.publishers
    }
  }
}

resource "aws_sns_topic_policy" "changes" {
  arn    = aws_sns_topic.changes.arn
  policy = data.aws_iam_policy_document.topic.json
}

resource "aws_sqs_queue" "dead" {
  name       = "${var.name}-dead${local.suffix}"
  fifo_queue = var.fifo
  # The clock of a message that SQS moves goes on from when it was sent first: the dead letters must keep longest.
  message_retention_seconds = 1209600
  kms_master_key_id         = local.key_arn
  sqs_managed_sse_enabled   = local.key_arn == null ? true : null
  tags                      = var.tags
}

resource "aws_sqs_queue" "changes" {
  name                       = "${var.name}${local.suffix}"
  fifo_queue                 = var.fifo
  message_retention_seconds  = var.message_retention_seconds
  receive_wait_time_seconds  = 20
  visibility_timeout_seconds = 60
  kms_master_key_id          = local.key_arn
  sqs_managed_sse_enabled    = local.key_arn == null ? true : null
  redrive_policy             = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead.arn, maxReceiveCount = var.max_receive_count })
  tags                       = var.tags
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  queue_url            = aws_sqs_queue.dead.id
  redrive_allow_policy = jsonencode({ redrivePermission = "byQueue", sourceQueueArns = [aws_sqs_queue.changes.arn] })
}

# Into the queue, and into the dead letters what could not be delivered there.
locals {
  fed_by_topic = { changes = aws_sqs_queue.changes, dead = aws_sqs_queue.dead }
}

data "aws_iam_policy_document" "queue" {
  for_each = local.fed_by_topic
  statement {
    sid       = "TopicSends"
    actions   = ["sqs:SendMessage"]
    resources = [each.value.arn]
    principals {
      type        = "Service"
      identifiers = ["sns.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_sns_topic.changes.arn]
    }
  }
}

resource "aws_sqs_queue_policy" "this" {
  for_each  = local.fed_by_topic
  queue_url = each.value.id
  policy    = data.aws_iam_policy_document.queue[each.key].json
}

resource "aws_sns_topic_subscription" "changes" {
  topic_arn            = aws_sns_topic.changes.arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.changes.arn
  raw_message_delivery = var.raw_message_delivery
  filter_policy        = var.filter_policy
  # What SNS cannot deliver (a key or a policy that was changed) waits here instead of being dropped after its retries.
  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead.arn })
  depends_on     = [aws_sqs_queue_policy.this]
}
