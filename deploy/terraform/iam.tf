# The least that each part needs. Attach the policies to roles of yours, or let the module make a role for IRSA.

# Nothing, where the keys are those of SNS and SQS themselves.
data "aws_iam_policy_document" "encrypt" {
  dynamic "statement" {
    for_each = local.key_arn == null ? [] : [local.key_arn]
    content {
      sid       = "Encrypt"
      actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
      resources = [statement.value]
    }
  }
}

data "aws_iam_policy_document" "publisher" {
  source_policy_documents = [data.aws_iam_policy_document.encrypt.json]
  statement {
    sid       = "Publish"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.changes.arn]
  }
}

data "aws_iam_policy_document" "worker" {
  source_policy_documents = [data.aws_iam_policy_document.encrypt.json]
  statement {
    sid       = "Changes"
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.changes.arn]
  }
  statement {
    sid       = "DeadLetters"
    actions   = ["sqs:SendMessage", "sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.dead.arn]
  }
  # `afterimage doctor` looks at the way there.
  statement {
    sid       = "Doctor"
    actions   = ["sns:ListSubscriptionsByTopic", "sns:GetSubscriptionAttributes"]
    resources = ["*"]
  }
}

# Whoever runs `afterimage dlq`: looks at dead letters and sends them back.
data "aws_iam_policy_document" "operator" {
  source_policy_documents = [data.aws_iam_policy_document.encrypt.json]
  statement {
    sid       = "DeadLetters"
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.dead.arn]
  }
  statement {
    sid       = "SendBack"
    actions   = ["sqs:SendMessage", "sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.changes.arn]
  }
}

# Whoever scales by the length of the queue (KEDA, with an identity of its own).
data "aws_iam_policy_document" "scaler" {
  statement {
    sid       = "Length"
    actions   = ["sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.changes.arn]
  }
}

resource "aws_iam_policy" "this" {
  for_each = {
    publisher = data.aws_iam_policy_document.publisher.json
    worker    = data.aws_iam_policy_document.worker.json
    operator  = data.aws_iam_policy_document.operator.json
    scaler    = data.aws_iam_policy_document.scaler.json
  }
  name   = "${var.name}-${each.key}"
  policy = each.value
  tags   = var.tags
}

data "aws_iam_policy_document" "assume" {
  count = var.oidc_provider_arn == null ? 0 : 1
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [var.oidc_provider_arn]
    }
    condition {
      test     = "StringEquals"
      variable = "${replace(var.oidc_provider_arn, "/^.*oidc-provider\\//", "")}:sub"
      values   = ["system:serviceaccount:${var.service_account.namespace}:${var.service_account.name}"]
    }
    condition {
      test     = "StringEquals"
      variable = "${replace(var.oidc_provider_arn, "/^.*oidc-provider\\//", "")}:aud"
      values   = ["sts.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "worker" {
  count              = var.oidc_provider_arn == null ? 0 : 1
  name               = "${var.name}-worker"
  assume_role_policy = data.aws_iam_policy_document.assume[0].json
  tags               = var.tags
}

resource "aws_iam_role_policy_attachment" "worker" {
  count      = var.oidc_provider_arn == null ? 0 : 1
  role       = aws_iam_role.worker[0].name
  policy_arn = aws_iam_policy.this["worker"].arn
}

resource "aws_iam_role_policy_attachment" "scaler" {
  count      = var.keda_role_arn == null ? 0 : 1
  role       = replace(var.keda_role_arn, "/^.*\\//", "")
  policy_arn = aws_iam_policy.this["scaler"].arn
}
