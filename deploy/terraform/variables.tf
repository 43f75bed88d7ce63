variable "name" {
  description = "Name of the topic and the queue; what else is made has it in front. A FIFO pair gets .fifo behind it."
  type        = string
  default     = "afterimage-changes"
  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,60}$", var.name))
    error_message = "1 to 60 letters, digits, - and _: AWS allows 80 for the queue, and -dead and .fifo come behind."
  }
}

variable "fifo" {
  description = "Make a FIFO topic and FIFO queues: order within a message group."
  type        = bool
  default     = false
}

variable "raw_message_delivery" {
  description = "Deliver bodies without the SNS envelope: smaller, cheaper. Off only where workers use --allow-topic."
  type        = bool
  default     = true
}

variable "filter_policy" {
  description = "Filter policy of the subscription, as JSON; null takes everything."
  type        = string
  default     = null
}

variable "message_retention_seconds" {
  description = "How long the queue keeps a message. An outage longer than this loses changes."
  type        = number
  default     = 604800
  validation {
    condition     = var.message_retention_seconds >= 43200 && var.message_retention_seconds <= 1209600
    error_message = "From 12 hours, for which workers hold what they have, to 14 days, which is the most that SQS takes."
  }
}

variable "max_receive_count" {
  description = "Receives after which SQS moves a message to the dead letters. Each kill of a worker counts as one."
  type        = number
  default     = 10
  validation {
    condition     = var.max_receive_count >= 5
    error_message = "At least 5: fewer, and so many restarts of a worker bury sound messages."
  }
}

variable "kms_key_arn" {
  description = "A customer-managed key for topic and queues; null makes one, \"\" leaves encryption to SQS and SNS's own keys."
  type        = string
  default     = null
}

variable "publisher_principal_arns" {
  description = "Roles of the services that publish. Empty: whoever has the publisher policy in this account."
  type        = list(string)
  default     = []
}

variable "oidc_provider_arn" {
  description = "IRSA: the cluster's OIDC provider. Null makes no roles, only policies."
  type        = string
  default     = null
}

variable "service_account" {
  description = "IRSA: namespace and name of the workers' service account."
  type        = object({ namespace = string, name = string })
  default     = { namespace = "afterimage", name = "afterimage" }
}

variable "keda_role_arn" {
  description = "A role of KEDA's that may read how long the queue is; null gives it to nobody."
  type        = string
  default     = null
}

variable "alarm_actions" {
  description = "Where alarms go: ARNs of topics. Empty: alarms are made and tell nobody."
  type        = list(string)
  default     = []
}

variable "oldest_message_alarm_seconds" {
  description = "Age of the oldest message at which to raise an alarm."
  type        = number
  default     = 900
}

variable "tags" {
  description = "Tags of everything that is made."
  type        = map(string)
  default     = {}
}
