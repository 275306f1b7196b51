"""The reference's own list: every property of every request body, its type, whether required.

From the schemas of the Cloud Recording RESTful API reference (2023-2025). `startParameter` is the
`client-request` of start. An array's entries are written `[]`.
"""

REFERENCE = """
acquire cname String required
acquire uid String required
acquire clientRequest Object
acquire clientRequest.scene Number
acquire clientRequest.resourceExpiredHour Number
acquire clientRequest.startParameter Object
acquire clientRequest.excludeResourceIds Array
acquire clientRequest.region String
start cname String required
start uid String required
start clientRequest Object required
start clientRequest.token String
start clientRequest.storageConfig Object required
start clientRequest.storageConfig.vendor Number required
start clientRequest.storageConfig.region Number required
start clientRequest.storageConfig.bucket String required
start clientRequest.storageConfig.accessKey String required
start clientRequest.storageConfig.secretKey String required
start clientRequest.storageConfig.stsToken String
start clientRequest.storageConfig.stsExpiration Number
start clientRequest.storageConfig.fileNamePrefix Array
start clientRequest.storageConfig.extensionParams Object
start clientRequest.storageConfig.extensionParams.sse String required
start clientRequest.storageConfig.extensionParams.tag String required
start clientRequest.recordingConfig Object
start clientRequest.recordingConfig.channelType Number required
start clientRequest.recordingConfig.decryptionMode Number
start clientRequest.recordingConfig.secret String
start clientRequest.recordingConfig.salt String
start clientRequest.recordingConfig.maxIdleTime Number
start clientRequest.recordingConfig.streamTypes Number
start clientRequest.recordingConfig.videoStreamType Number
start clientRequest.recordingConfig.subscribeAudioUids Array
start clientRequest.recordingConfig.unsubscribeAudioUids Array
start clientRequest.recordingConfig.subscribeVideoUids Array
start clientRequest.recordingConfig.unsubscribeVideoUids Array
start clientRequest.recordingConfig.subscribeUidGroup Number
start clientRequest.recordingConfig.streamMode String
start clientRequest.recordingConfig.audioProfile Number
start clientRequest.recordingConfig.transcodingConfig Object
start clientRequest.recordingConfig.transcodingConfig.width Number
start clientRequest.recordingConfig.transcodingConfig.height Number
start clientRequest.recordingConfig.transcodingConfig.fps Number
start clientRequest.recordingConfig.transcodingConfig.bitrate Number
start clientRequest.recordingConfig.transcodingConfig.maxResolutionUid String
start clientRequest.recordingConfig.transcodingConfig.mixedVideoLayout Number
start clientRequest.recordingConfig.transcodingConfig.backgroundColor String
start clientRequest.recordingConfig.transcodingConfig.backgroundImage String
start clientRequest.recordingConfig.transcodingConfig.defaultUserBackgroundImage String
start clientRequest.recordingConfig.transcodingConfig.layoutConfig Array
start clientRequest.recordingConfig.transcodingConfig.layoutConfig[].uid String
start clientRequest.recordingConfig.transcodingConfig.layoutConfig[].x_axis Float required
start clientRequest.recordingConfig.transcodingConfig.layoutConfig[].y_axis Float required
start clientRequest.recordingConfig.transcodingConfig.layoutConfig[].width Float required
start clientRequest.recordingConfig.transcodingConfig.layoutConfig[].height Float required
start clientRequest.recordingConfig.transcodingConfig.layoutConfig[].alpha Float
start clientRequest.recordingConfig.transcodingConfig.layoutConfig[].render_mode Number
start clientRequest.recordingConfig.transcodingConfig.backgroundConfig Object
start clientRequest.recordingConfig.transcodingConfig.backgroundConfig[].uid String required
start clientRequest.recordingConfig.transcodingConfig.backgroundConfig[].image_url String required
start clientRequest.recordingConfig.transcodingConfig.backgroundConfig[].render_mode Number
start clientRequest.recordingFileConfig Object
start clientRequest.recordingFileConfig.avFileType Array
start clientRequest.snapshotConfig Object
start clientRequest.snapshotConfig.captureInterval Number
start clientRequest.snapshotConfig.fileType Array required
start clientRequest.extensionServiceConfig Object
start clientRequest.extensionServiceConfig.errorHandlePolicy String
start clientRequest.extensionServiceConfig.extensionServices Array required
start clientRequest.extensionServiceConfig.extensionServices[].serviceName String required
start clientRequest.extensionServiceConfig.extensionServices[].errorHandlePolicy String
start clientRequest.extensionServiceConfig.extensionServices[].serviceParam Object required
start clientRequest.extensionServiceConfig.extensionServices[].serviceParam.url String required
start clientRequest.extensionServiceConfig.extensionServices[].serviceParam.audioProfile Number required
start clientRequest.extensionServiceConfig.extensionServices[].serviceParam.videoWidth Number required
start clientRequest.extensionServiceConfig.extensionServices[].serviceParam.videoHeight Number required
start clientRequest.extensionServiceConfig.extensionServices[].serviceParam.maxRecordingHour Number required
start clientRequest.extensionServiceConfig.extensionServices[].serviceParam.videoBitrate Number
start clientRequest.extensionServiceConfig.extensionServices[].serviceParam.videoFps Number
start clientRequest.extensionServiceConfig.extensionServices[].serviceParam.mobile Boolean
start clientRequest.extensionServiceConfig.extensionServices[].serviceParam.maxVideoDuration Number
start clientRequest.extensionServiceConfig.extensionServices[].serviceParam.onhold Boolean
start clientRequest.extensionServiceConfig.extensionServices[].serviceParam.readyTimeout Number
start clientRequest.extensionServiceConfig.extensionServices[].serviceParam.outputs Array required
start clientRequest.extensionServiceConfig.extensionServices[].serviceParam.outputs[].rtmpUrl String required
start clientRequest.appsCollection Object
start clientRequest.appsCollection.combinationPolicy String
start clientRequest.transcodeOptions Object
start clientRequest.transcodeOptions.transConfig Object required
start clientRequest.transcodeOptions.transConfig.transMode String required
start clientRequest.transcodeOptions.container Object
start clientRequest.transcodeOptions.container.format String
start clientRequest.transcodeOptions.audio Object
start clientRequest.transcodeOptions.audio.sampleRate String
start clientRequest.transcodeOptions.audio.bitrate String
start clientRequest.transcodeOptions.audio.channels String
update cname String required
update uid String required
update clientRequest Object required
update clientRequest.streamSubscribe Object
update clientRequest.streamSubscribe.audioUidList Object
update clientRequest.streamSubscribe.audioUidList.subscribeAudioUids Array
update clientRequest.streamSubscribe.audioUidList.unsubscribeAudioUids Array
update clientRequest.streamSubscribe.videoUidList Object
update clientRequest.streamSubscribe.videoUidList.subscribeVideoUids Array
update clientRequest.streamSubscribe.videoUidList.unsubscribeVideoUids Array
update clientRequest.webRecordingConfig Object
update clientRequest.webRecordingConfig.onhold Boolean
update clientRequest.rtmpPublishConfig Object
update clientRequest.rtmpPublishConfig.outputs Array
update clientRequest.rtmpPublishConfig.outputs[].rtmpUrl String
update clientRequest.storageConfig Object required
update clientRequest.storageConfig.vendor Number required
update clientRequest.storageConfig.region Number required
update clientRequest.storageConfig.bucket String required
update clientRequest.storageConfig.accessKey String required
update clientRequest.storageConfig.secretKey String required
update clientRequest.storageConfig.stsToken String
update clientRequest.storageConfig.stsExpiration Number
update clientRequest.storageConfig.fileNamePrefix Array
update clientRequest.storageConfig.extensionParams Object
update clientRequest.storageConfig.extensionParams.sse String required
update clientRequest.storageConfig.extensionParams.tag String required
updateLayout cname String required
updateLayout uid String required
updateLayout clientRequest Object required
updateLayout clientRequest.maxResolutionUid String
updateLayout clientRequest.mixedVideoLayout Number
updateLayout clientRequest.backgroundColor String
updateLayout clientRequest.backgroundImage String
updateLayout clientRequest.defaultUserBackgroundImage String
updateLayout clientRequest.layoutConfig Array
updateLayout clientRequest.layoutConfig[].uid String
updateLayout clientRequest.layoutConfig[].x_axis Float required
updateLayout clientRequest.layoutConfig[].y_axis Float required
updateLayout clientRequest.layoutConfig[].width Float required
updateLayout clientRequest.layoutConfig[].height Float required
updateLayout clientRequest.layoutConfig[].alpha Float
updateLayout clientRequest.layoutConfig[].render_mode Number
updateLayout clientRequest.backgroundConfig Array
updateLayout clientRequest.backgroundConfig[].uid String required
updateLayout clientRequest.backgroundConfig[].image_url String required
updateLayout clientRequest.backgroundConfig[].render_mode Number
stop cname String required
stop uid String required
stop clientRequest Object required
stop clientRequest.async_stop Boolean
"""
